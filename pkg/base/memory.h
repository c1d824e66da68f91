/* Giving memory back that only the start of a process, or a burst, needed. */
#pragma once

/*
 * Returns freed heap to the kernel, and lets go of the program's own code and constants, which are
 * mapped whole at the start because reading one page brings its neighbours: what is used afterwards
 * comes back from the page cache, in small pieces from then on. Costs some faults; to be called by
 * what runs on, when it starts, and when things have become quiet.
 */
void memory_give_back(void);
