/* SPDX-License-Identifier: MIT
 * A tree as the input describes it, of everything that a Lua table may hold: what payment_records
 * .encode() is asked to encode, and an answer of our own as to what must come of it. */
#ifndef PR_MODEL_H
#define PR_MODEL_H

#include "fuzz.h"

struct node;

/* A tree of the input. It lives until the next one is made. */
const struct node *model_make(struct input *input);

/* Pushes the tree as Lua tables. `backwards`: filled in another order, with detours. */
void model_push(lua_State *L, const struct node *root, bool backwards);

/* Fails the oracle unless `body` is the tree, pair for pair. */
void model_check_body(const struct node *root, const char *body, size_t length);

/* Fails the oracle unless the tree cannot be encoded and the message begins with the place of its
 * first fault. */
void model_check_message(const struct node *root, const char *message, size_t length);

/* Whether the tree, written out, is no larger than what is worth the time. */
bool model_is_small(const struct node *root);

#endif
