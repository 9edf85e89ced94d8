//! (content follows)
