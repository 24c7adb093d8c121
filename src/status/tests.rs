//! Status, case by case.
