//! The tables: every component and resource of the engine.
