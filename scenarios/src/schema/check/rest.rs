//! The ranges of what is neither network nor class: overlay, faults, expectations.

use super::{FAULTS_MAX, Faults, RUN_MAX};
use crate::bound;
use crate::schema::{
    Class, Expectation, FaultKind, Micros, Permille, Rate, Scenario, Span, Yardstick,
};

impl Scenario {
    pub(super) fn check_rest(&self, faults: &mut Faults) {
        let most = dunlin_base::limits::TRACKER_PEERS_MAX as u32;
        faults.range("overlay.tracker_want", self.overlay.tracker_want, 1, most);
        let (second, day) = (Micros(1_000_000), Micros(86_400_000_000));
        faults.range(
            "overlay.announce_interval",
            self.overlay.announce_interval,
            second,
            day,
        );
        faults.range("faults", self.faults.len(), 0, FAULTS_MAX);
        for (at, fault) in self.faults.iter().enumerate() {
            let path = format!("faults[{at}]");
            faults.range(format!("{path}.at"), fault.at, Micros(0), self.at_most);
            self.check_fault(&fault.what, &format!("{path}.what"), faults);
        }
        for (at, expectation) in self.expect.iter().enumerate() {
            self.check_expectation(expectation, &format!("expect[{at}]"), faults);
        }
    }

    fn check_fault(&self, what: &FaultKind, path: &str, faults: &mut Faults) {
        let lasts = |faults: &mut Faults, time: Micros| {
            faults.range(format!("{path}.lasts"), time, Micros(1), RUN_MAX);
        };
        match what {
            FaultKind::CutConnections { class, share }
            | FaultKind::Leave { class, share }
            | FaultKind::Crash { class, share } => {
                self.check_class_name(class, path, faults);
                faults.share(format!("{path}.share"), *share);
            }
            FaultKind::TrackerDown { lasts: time } => lasts(faults, *time),
            FaultKind::SlowDown {
                class,
                up,
                lasts: time,
            } => {
                self.check_class_name(class, path, faults);
                if let Some(class) = self.classes.iter().find(|known| known.name == *class) {
                    faults.range(format!("{path}.up"), *up, Rate(0), class.up);
                }
                lasts(faults, *time);
            }
        }
    }

    fn check_plays(&self, name: &str, path: &str, faults: &mut Faults) {
        self.check_class_name(name, path, faults);
        let class = self.classes.iter().find(|known| known.name == name);
        if class.is_some_and(|class| class.streaming.is_none()) {
            faults.add(format!("{path}.class"), "is a class that plays nothing");
        }
    }

    fn check_gives_up(&self, name: &str, path: &str, faults: &mut Faults) {
        self.check_class_name(name, path, faults);
        let class = self.classes.iter().find(|known| known.name == name);
        let gives_up = |class: &Class| matches!(class.abort, Some(Span::Exponential { .. }));
        if class.is_some_and(|class| !gives_up(class)) {
            faults.add(
                format!("{path}.class"),
                "is a class that does not give up at a rate",
            );
        }
    }

    fn check_class_name(&self, name: &str, path: &str, faults: &mut Faults) {
        if !self.classes.iter().any(|class| class.name == name) {
            let known: Vec<&str> = self
                .classes
                .iter()
                .map(|class| class.name.as_str())
                .collect();
            let known = known.join(", ");
            faults.add(
                format!("{path}.class"),
                format!("is {name:?}, expected one of {known}"),
            );
        }
    }

    fn check_expectation(&self, expectation: &Expectation, path: &str, faults: &mut Faults) {
        let span = |faults: &mut Faults, min: Permille, max: Permille| {
            if min > max {
                faults.add(path, format!("expects {min} to {max}, which nothing is"));
            }
        };
        match expectation {
            Expectation::AllComplete | Expectation::Waste { .. } | Expectation::Control { .. } => {}
            Expectation::Growth { fit, min, max } => {
                faults.share(format!("{path}.fit"), *fit);
                faults.range(format!("{path}.min"), *min, Micros(1), *max);
            }
            Expectation::Ratio {
                class,
                to,
                min,
                max,
                ..
            } => {
                span(faults, *min, *max);
                if let Some(class) = class {
                    self.check_class_name(class, path, faults);
                }
                if *to == Yardstick::KumarRoss && bound::of_scenario(self).is_none() {
                    faults.add(path, "compares with KumarRoss, which is no bound unless all leechers come at once and stay until they are complete");
                }
                if let Yardstick::Time(time) = to {
                    faults.range(format!("{path}.to"), *time, Micros(1), RUN_MAX);
                }
            }
            Expectation::Utilisation { min, max } | Expectation::SeedCopies { min, max } => {
                span(faults, *min, *max);
            }
            Expectation::UnchokeShare { by, of, min, max } => {
                self.check_class_name(by, path, faults);
                self.check_class_name(of, path, faults);
                span(faults, *min, *max);
            }
            Expectation::ShareRatio { class, min, max } => {
                self.check_class_name(class, path, faults);
                span(faults, *min, *max);
            }
            Expectation::Stalls { class, min, max } => {
                self.check_plays(class, path, faults);
                span(faults, *min, *max);
            }
            Expectation::DownloadTime { from, min, max } => {
                faults.range(format!("{path}.from"), *from, Micros(0), self.at_most);
                faults.range(format!("{path}.min"), *min, Micros(1), *max);
            }
            Expectation::Finished {
                class,
                from,
                min,
                max,
            } => {
                self.check_gives_up(class, path, faults);
                span(faults, *min, *max);
                faults.range(format!("{path}.from"), *from, Micros(0), self.at_most);
            }
            Expectation::Leechers { from, min, max } | Expectation::Seeds { from, min, max } => {
                span(faults, Permille((*min).into()), Permille((*max).into()));
                faults.range(format!("{path}.from"), *from, Micros(0), self.at_most);
            }
        }
    }
}
