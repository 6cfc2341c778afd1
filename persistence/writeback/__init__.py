"""Write-behind: dirty sessions go to PostgreSQL in batches."""
