//! Whom to unchoke: the policy by tables, the rounds over small worlds.

mod bargain;
mod policy;
mod rounds;
