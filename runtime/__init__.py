"""What every process of the project needs: settings, logs, embedded databases."""
