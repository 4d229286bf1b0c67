"""Where data comes from: embedded sets, generated scenes, and what people have on disk, behind one interface."""
