//! Plain data that crosses the border between engine, network, disk and viewers.
