//! Discord: what people say there comes in through its gateway, and answers go out through its REST interface.

pub mod button;
