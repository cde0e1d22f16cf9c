"""The built-in world: its scenes, how they are drawn and described, and how pictures are read."""
