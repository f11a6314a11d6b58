//! What the record promises whoever asks it, told without a door.

mod changes;
mod corpus;
mod registering;
mod sight;
