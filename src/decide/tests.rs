//! The policy, case by case: what was observed, and the one step that follows. Each file is about one part of the policy.

mod absence;
mod adoption;
mod consumers;
mod creation;
mod deletion;
mod direction;
mod enforce;
mod faults;
mod first_secret;
mod fixture;
mod maintenance;
mod observe;
mod overlap_end;
mod ownership;
mod plan;
mod remote_app;
mod resend;
mod role_note;
mod roles;
mod rotation;
mod schedule;
mod secrets;
mod validate;
mod verification;
