//! GitHub: events in, calls out.
