/* SPDX-License-Identifier: MIT
 * To be preloaded: a libcurl that was built with other certificates for the system's. In the
 * environment:
 *
 *   SYSTEM_BUNDLE, SYSTEM_DIRECTORY   its defaults of CAINFO and CAPATH
 *   SYSTEM_BACKEND                    what it says of its TLS library, e.g. "GnuTLS/3.7.9"
 *   SYSTEM_RESTORES                   it is libcurl 8.21: what is set to NULL is its default again
 */
#include <curl/curl.h>

#include <dlfcn.h>
#include <stdarg.h>
#include <stdlib.h>

/* The macro of curl.h checks types in the place of this function. */
#undef curl_easy_setopt

enum { RESTORING = 0x081500 };

static CURLcode set_pointer(CURL *easy, CURLoption option, const void *value) {
  CURLcode (*set)(CURL *, CURLoption, ...) = NULL;
  *(void **)&set = dlsym(RTLD_NEXT, "curl_easy_setopt");
  return set(easy, option, value);
}

CURL *curl_easy_init(void) {
  CURL *(*init)(void) = NULL;
  *(void **)&init = dlsym(RTLD_NEXT, "curl_easy_init");
  CURL *easy = init();
  if (easy) {
    set_pointer(easy, CURLOPT_CAINFO, getenv("SYSTEM_BUNDLE"));
    set_pointer(easy, CURLOPT_CAPATH, getenv("SYSTEM_DIRECTORY"));
  }
  return easy;
}

/* Whatever an option takes, it is read as a pointer: on the systems that this is for (LP64) all are
 * of that size. */
CURLcode curl_easy_setopt(CURL *curl, CURLoption option, ...) {
  va_list arguments;
  va_start(arguments, option);
  const void *value = va_arg(arguments, void *);
  va_end(arguments);
  if (!value && getenv("SYSTEM_RESTORES") && option == CURLOPT_CAINFO)
    value = getenv("SYSTEM_BUNDLE");
  if (!value && getenv("SYSTEM_RESTORES") && option == CURLOPT_CAPATH)
    value = getenv("SYSTEM_DIRECTORY");
  return set_pointer(curl, option, value);
}

curl_version_info_data *curl_version_info(CURLversion version) {
  static _Thread_local curl_version_info_data info;
  curl_version_info_data *(*get)(CURLversion) = NULL;
  *(void **)&get = dlsym(RTLD_NEXT, "curl_version_info");
  info = *get(version);
  info.cainfo = getenv("SYSTEM_BUNDLE");
  info.capath = getenv("SYSTEM_DIRECTORY");
  if (getenv("SYSTEM_BACKEND"))
    info.ssl_version = getenv("SYSTEM_BACKEND");
  if (getenv("SYSTEM_RESTORES"))
    info.version_num = RESTORING;
  return &info;
}
