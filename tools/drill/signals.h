/* The signals that would end the program, while a key must be given back first. */
#ifndef DRILL_SIGNALS_H
#define DRILL_SIGNALS_H

/* From here on SIGINT, SIGTERM, SIGHUP and SIGQUIT are only noted (those that were ignored stay
 * so), and a closed pipe is an error of the write to it.
 */
void signals_catch (void);

/* The first that came, or 0; and how many there were. */
int signals_first (void);
int signals_count (void);

#endif
