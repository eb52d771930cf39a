/* SPDX-License-Identifier: MIT
 * To be preloaded: writes down every option that is set on an easy or a multi handle, one "NAME
 * value" each, to the file that SETOPT_LOG names, and passes it on. Whatever an option takes, it is
 * read as a pointer: on the systems that this is for (LP64) all are of that size. */
#include <curl/curl.h>

#include <dlfcn.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

/* The macros of curl.h check types in the place of these functions. */
#undef curl_easy_setopt
#undef curl_multi_setopt

static void write_line(const char *name, const char *value) {
  FILE *file = fopen(getenv("SETOPT_LOG"), "a");
  if (!file)
    abort();
  fprintf(file, "%s %s\n", name, value);
  fclose(file);
}

static void log_option(const struct curl_easyoption *option, const void *value) {
  char number[32];
  bool is_number =
      option->type == CURLOT_LONG || option->type == CURLOT_VALUES || option->type == CURLOT_OFF_T;
  const char *shown = value ? "set" : "NULL";
  if (option->type == CURLOT_STRING && value)
    shown = value;
  snprintf(number, sizeof number, "%ld", (long)value);
  write_line(option->name, is_number ? number : shown);
}

CURLcode curl_easy_setopt(CURL *curl, CURLoption option, ...) {
  CURLcode (*set)(CURL *, CURLoption, ...) = NULL;
  va_list arguments;
  va_start(arguments, option);
  void *value = va_arg(arguments, void *);
  va_end(arguments);
  log_option(curl_easy_option_by_id(option), value);
  *(void **)&set = dlsym(RTLD_NEXT, "curl_easy_setopt");
  return set(curl, option, value);
}

CURLMcode curl_multi_setopt(CURLM *multi_handle, CURLMoption option, ...) {
  CURLMcode (*set)(CURLM *, CURLMoption, ...) = NULL;
  va_list arguments;
  va_start(arguments, option);
  void *value = va_arg(arguments, void *);
  va_end(arguments);
  write_line("multi", "set");
  *(void **)&set = dlsym(RTLD_NEXT, "curl_multi_setopt");
  return set(multi_handle, option, value);
}
