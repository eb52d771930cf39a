/* SPDX-License-Identifier: MIT
 * The engine: moves the calls of a client, in the order ready -> on the wire -> (waiting -> ready)
 * -> done. Blocking, cooperative and asynchronous use differ only in who waits between two steps.
 *
 * `client` is everywhere the stack index of the client. Functions that return bool return false
 * when memory is short, with the error on top of the stack; nothing is lost then, and the next step
 * goes on. Code of the user's may run while they look at the end of an attempt (on_attempt,
 * finalizers), and when a call is done (on_done): it may start and cancel calls and close the
 * client, but not wait. */
#ifndef PR_LUA_ENGINE_H
#define PR_LUA_ENGINE_H

#include "lua_client.h"

#pragma GCC visibility push(hidden)

/* Looks whether the process was forked. Then the parent has the same calls, and whether it sends
 * them is not known here; and the descriptor is another. */
void engine_notice_fork(struct client *client);

/* Takes in the new call on top of the stack. One that was refused is done: only its on_done is left
 * to the next step. Raises when memory is short. */
void engine_enqueue(lua_State *L, int client, struct call *call, bool refused);

/* Takes the end of a call's attempt. */
bool engine_settle(lua_State *L, int client, struct call *call, const struct answer *answer);

/* Pushes the request of a call that is not done, as a table. Finalizers that run meanwhile can
 * neither end the call nor release the client. */
bool engine_push_request(lua_State *L, int client, struct call *call);

/* Takes a call off the wire: done, or, if `wait` is not negative, waiting so many seconds. */
void engine_leave(lua_State *L, int client, struct call *call, double wait);

/* Ends a call that is not done, for a reason of the caller's. */
bool engine_cancel(lua_State *L, int client, struct call *call, const char *reason);

/* Drops a call, with whatever it has in flight, without a word to anybody: for the collector. */
void engine_forget(struct call *call);

/* Whether Stripe may have seen a call that is not done: its answer may still come. */
bool engine_may_be_sent(const struct call *call);

/* Drops a call that is not done, whose caller gets the error on top instead: it must not be sent
 * later, behind his back. The error then says what is known of the call. */
void engine_give_up(lua_State *L, int client, struct call *call);

/* Moves what can move, after waiting at most `seconds` (negative: as long as it takes). It works
 * for about `budget` seconds at most; what is left then is for the next step. */
bool engine_step(lua_State *L, int client, double seconds, double budget);

/* Sends a new call at once if it is its turn, not with the next step: for who waits for it. Not
 * where steps run out of time, nor many between two of them: the host needs its own for other
 * things. When it fails the call is dropped. */
bool engine_start_now(lua_State *L, int client, struct call *call);

/* Waits until the call is done. False after many failures: the call is given up then. */
bool engine_run(lua_State *L, int client, struct call *call);

/* Makes the descriptor readable for a host that waits on it with the timeout that held before. */
void engine_wake_host(const struct client *client);

/* Raises within a callback, which may not wait. */
void engine_check_idle(lua_State *L, const struct client *client);

/* Seconds until engine_step() has something to do even if nothing arrives; negative: never. What is
 * ready for the user's transport is not its work. */
double engine_timeout(const struct client *client);

/* The next call that the user's transport may carry, or NULL; `only`: this one, or none.
 * `beyond`: even if the wire has no room for it. */
struct call *engine_next_to_carry(const struct client *client, struct call *only, bool beyond);

/* Ends the call that engine_next_to_carry() gave, if its deadline has passed, or the time that its
 * idempotency key lives: *late says so. */
bool engine_end_late(lua_State *L, int client, struct call *call, bool *late);

/* Sets the URL and the times of the request for an attempt that begins now. */
void engine_begin_attempt(struct call *call);

/* Notes that libcurl or the user's transport has the attempt. */
void engine_set_on_wire(struct call *call);

/* Pushes the userdata of a call that is not done. */
void engine_push_call(lua_State *L, int client, const struct call *call);

/* Closes the client: calls that are not done end as canceled. While the client is busy it is only
 * marked as closed, and the rest follows when it no longer is. */
bool engine_close(lua_State *L, int client);

#pragma GCC visibility pop

#endif
