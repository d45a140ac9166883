/* Hanging up on clients that hold the server.
 *
 * A server that was told to end waits for its connections to end.  Busy ones do after their next
 * request; an idle one would hold it until its client has something to ask, which is then refused,
 * and refusals are for fences: a client that can wait for the next server shall find a connection
 * that has ended, and no error.
 */
#ifndef NBD_PLUGIN_CLIENTS_H
#define NBD_PLUGIN_CLIENTS_H

/* Nothing more is read from NBD clients that have read all answers; what they have asked already is
 * still answered.  All connected stream sockets are taken for theirs but unnamed ones (as the
 * agent's) and those of the socket that is spared.
 */
void clients_hang_up (void);

/* The path of a listening socket of our own.  Once a process. */
void clients_spare (const char *socket_path);

#endif
