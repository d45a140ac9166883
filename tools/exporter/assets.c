/* assets.c owns the bytes of page.css and app.js. */
#include "tools/exporter/assets.h"

const char asset_style[] =
#include "page.css.inc"
    ;

const char asset_script[] =
#include "app.js.inc"
    ;
