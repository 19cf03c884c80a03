//! The rules: systems over the tables, and the schedule that orders them.
