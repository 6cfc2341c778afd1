"""What the Lua scripts reply and publish, by name.

`status` has the words that a reply starts with, `play` the replies to players' requests and ticks, `refusals`
those to a command that changed nothing, `play_shapes` which of both a reply is; `upkeep` those of saving and
loading, `publications` what is published. `make check` holds the names of the fields against the heads of the
scripts (`persistence.live.check`).
"""
