use ratatui::Terminal;
use ratatui::backend::TestBackend;
