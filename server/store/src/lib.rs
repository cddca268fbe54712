//! Storage behind the engine's ports: SQLite and memory
