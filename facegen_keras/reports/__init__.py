"""From runs and evaluations to the folder that a report is written from."""
