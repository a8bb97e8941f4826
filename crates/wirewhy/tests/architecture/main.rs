//! The architecture: who may use whom, what must stay out, how large a file may get. The law is the table in
//! `crates/README.md`.

#[cfg(test)]
mod edges;
#[cfg(test)]
mod files;
#[cfg(test)]
mod glossary;
#[cfg(test)]
mod sources;
#[cfg(test)]
mod tree;
