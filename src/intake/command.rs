//! The command grammar: what people type after the mention. Pure; knows Markdown, no surface.
