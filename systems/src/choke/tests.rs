mod policy;
mod rounds;
