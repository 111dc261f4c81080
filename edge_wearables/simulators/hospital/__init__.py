"""A synthetic hospital, lived through week by week in simulated time, by the doors and services of the real one.

Rules
 * Nobody in it exists, and every record says so (`synthetic`). It plays only where the pathway's mode is `simulation`.
 * Time is handed in: eight weeks that end when the hospital was founded. The device doors of this play have its clock
   (`door`); no door that is reached over the network does.
 * What was done once is not done again: a play that was killed goes on in the week it had reached.

Where things are: `cases` who there is, `founding` the site and its people, `admitting` patients and devices,
`measuring` what the devices see, `rounds` what people do, `play` the weeks, `figures` what it came to.
"""
