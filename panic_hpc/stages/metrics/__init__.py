"""The metrics stage: outputs of runs become numbers."""
