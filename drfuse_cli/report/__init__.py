"""What a run leaves behind for people and scripts: sidecars, pictures, pages."""
