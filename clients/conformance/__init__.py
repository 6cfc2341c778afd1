"""What every client must do, as data, and the program that holds a client to it."""
