//! Log and tables on real files, with long histories: in batches of any size, and across crashes.

#[cfg(test)]
mod batches;
#[cfg(test)]
mod crash;
#[cfg(test)]
mod first_outcome;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod history;
#[cfg(test)]
mod tables;
