//! The agent's own AWS identity.
