/* Returns memory that was needed only at the start of a process or in a burst. */
#pragma once

/*
 * Returns freed heap to the kernel and releases the pages of the program's own code and constants.
 * These are all resident after the start, because reading one page brings its neighbours; from then
 * on, only what is used comes back from the page cache, in small pieces. This costs some page
 * faults. For programs that keep running: call it after the start, and when things have become
 * quiet.
 */
void memory_give_back(void);
