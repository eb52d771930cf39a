/* SPDX-License-Identifier: MIT
 * The Lua files that bundle.lua has made part of the program. */
#ifndef MODULES_H
#define MODULES_H

#include <stddef.h>

struct module {
  const char *name;
  const unsigned char *text;
  size_t length;
};

/* Ends with a module without a name. */
extern const struct module bundled_modules[];

#endif
