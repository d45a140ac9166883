/* The files that the page uses, in the program itself: page.css and app.js beside this. */
#ifndef EXPORTER_ASSETS_H
#define EXPORTER_ASSETS_H

extern const char asset_style[], asset_script[];

#endif
