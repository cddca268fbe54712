//! The live breakers of one server: deadlines, journal, watch log, write-behind
