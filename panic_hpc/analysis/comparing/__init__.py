"""Which of several is better: arms, measures of their runs, and differences in pairs."""
