//! Runs whose sandbox at Daytona fails under them, through the whole service: the run ends well, the work is there, and a command took
//! effect once.

mod befall;
mod killed;
mod place;
mod refused;
mod script;
mod trouble;
