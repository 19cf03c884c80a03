//! A strategy as a profile that the client loads: what was tuned in simulation, for real use.

use core::fmt::Write as _;
use std::collections::BTreeSet;

use super::{LeechChokeRule, PickRule, SeedChokeRule, Slots, Strategy};

impl Strategy {
    /// The strategy with these of its fields alone, by name.
    #[must_use]
    pub fn only(&self, fields: &BTreeSet<&str>) -> Self {
        let mut all = serde_json::json!(self);
        if let Some(all) = all.as_object_mut() {
            all.retain(|field, _| fields.contains(field.as_str()));
        }
        serde_json::from_value(all).expect("every field may be absent")
    }

    /// The strategy as the TOML of [`dunlin_port::config::Config`], with those keys only that it
    /// sets: all others stay what they are where it is loaded.
    #[must_use]
    pub fn to_profile(&self) -> String {
        let secs = |time: Option<super::Micros>| time.map(|time| (time.0 / 1_000_000).to_string());
        let count = |count: Option<u32>| count.map(|count| count.to_string());
        let slots = self.slots.map(|slots| match slots {
            Slots::Fixed(slots) => format!("{{ fixed = {slots} }}"),
            Slots::RateBased => "\"rate-based\"".to_owned(),
        });
        let leech = self.leech_choke.map(|rule| match rule {
            LeechChokeRule::TitForTat => "\"tit-for-tat\"".to_owned(),
            LeechChokeRule::BitTyrant => "\"bit-tyrant\"".to_owned(),
        });
        let seed = self.seed_choke.map(|rule| match rule {
            SeedChokeRule::RoundRobin => "\"round-robin\"".to_owned(),
            SeedChokeRule::FastestUpload => "\"fastest-upload\"".to_owned(),
            SeedChokeRule::AntiLeech => "\"anti-leech\"".to_owned(),
        });
        let pick = self.pick.map(|rule| match rule {
            PickRule::RarestFirst => "\"rarest-first\"".to_owned(),
            PickRule::Sequential => "\"sequential\"".to_owned(),
            PickRule::RoundRobin => "\"round-robin\"".to_owned(),
        });
        let limits = [
            ("connections", count(self.connections)),
            ("connections-per-torrent", count(self.connections)),
            ("half-open", count(self.half_open)),
        ];
        let choke = [
            ("slots", slots),
            ("interval-secs", secs(self.choke_interval)),
            ("optimistic-interval-secs", secs(self.optimistic_interval)),
            ("snub-secs", secs(self.snub)),
            ("leech", leech),
            ("seed", seed),
            ("seed-quota-pieces", count(self.seed_quota_pieces)),
            ("super-seed", self.super_seed.map(|yes| yes.to_string())),
        ];
        let picking = [
            ("strategy", pick),
            ("random-first-pieces", count(self.random_first_pieces)),
            ("request-queue-secs", secs(self.request_queue)),
            ("requests-max", count(self.requests_max)),
            ("endgame-requests", count(self.endgame_requests)),
            ("request-timeout-secs", secs(self.request_timeout)),
        ];
        [
            section("engine.limits", &limits),
            section("engine.choke", &choke),
            section("engine.pick", &picking),
        ]
        .concat()
    }
}

/// A table of TOML, or nothing when no key is set.
fn section(name: &str, keys: &[(&str, Option<String>)]) -> String {
    let mut text = String::new();
    for (key, value) in keys {
        if let Some(value) = value {
            if text.is_empty() {
                text = format!("[{name}]\n");
            }
            writeln!(text, "{key} = {value}").expect("text has room");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use dunlin_port::config::{Config, EngineConfig};

    use super::*;
    use crate::schema::Micros;

    /// What the client makes of a strategy, by way of the file.
    fn loaded(strategy: &Strategy) -> EngineConfig {
        let text = strategy.to_profile();
        let config = Config::from_toml(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        config.engine
    }

    #[test]
    fn the_client_gets_what_the_simulation_had() {
        let secs = |secs: u64| Some(Micros(secs * 1_000_000));
        let mut strategy = Strategy {
            slots: Some(Slots::Fixed(7)),
            choke_interval: secs(11),
            optimistic_interval: secs(33),
            snub: secs(55),
            leech_choke: Some(LeechChokeRule::TitForTat),
            seed_choke: Some(SeedChokeRule::AntiLeech),
            seed_quota_pieces: Some(9),
            super_seed: Some(true),
            pick: Some(PickRule::RoundRobin),
            random_first_pieces: Some(2),
            request_queue: secs(5),
            requests_max: Some(77),
            endgame_requests: Some(3),
            request_timeout: secs(44),
            connections: Some(123),
            half_open: Some(12),
        };
        for (seed, pick, slots) in [
            (
                SeedChokeRule::AntiLeech,
                PickRule::RoundRobin,
                Slots::Fixed(7),
            ),
            (
                SeedChokeRule::RoundRobin,
                PickRule::Sequential,
                Slots::RateBased,
            ),
            (
                SeedChokeRule::FastestUpload,
                PickRule::RarestFirst,
                Slots::Fixed(1),
            ),
        ] {
            strategy.leech_choke = Some(match slots {
                Slots::Fixed(_) => LeechChokeRule::BitTyrant,
                Slots::RateBased => LeechChokeRule::TitForTat,
            });
            (strategy.seed_choke, strategy.pick, strategy.slots) =
                (Some(seed), Some(pick), Some(slots));
            assert_eq!(loaded(&strategy), EngineConfig::from(&strategy));
            assert_eq!(strategy.effective(), strategy);
        }
    }

    #[test]
    fn what_is_effective_is_the_same_with_nothing_left_open() {
        let default = Strategy::default();
        let effective = default.effective();
        assert_eq!(effective.slots, Some(Slots::RateBased));
        assert_eq!(effective.connections, Some(100));
        let unlimited = |strategy: &Strategy| {
            let mut config = EngineConfig::from(strategy);
            // A node has one torrent: the limit of all torrents never comes to bear.
            config.limits.connections = 0;
            config
        };
        assert_eq!(unlimited(&effective), unlimited(&default));
    }

    #[test]
    fn fields_can_be_taken_out() {
        let whole = Strategy::default().effective();
        let some = whole.only(&BTreeSet::from(["slots", "snub"]));
        let expected = Strategy {
            slots: whole.slots,
            snub: whole.snub,
            ..Strategy::default()
        };
        assert_eq!(some, expected);
    }

    #[test]
    fn what_is_not_set_is_not_written() {
        assert_eq!(Strategy::default().to_profile(), "");
        let strategy = Strategy {
            pick: Some(PickRule::Sequential),
            ..Strategy::default()
        };
        assert_eq!(
            strategy.to_profile(),
            "[engine.pick]\nstrategy = \"sequential\"\n"
        );
    }
}
