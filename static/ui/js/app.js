// What the pages do beyond links and forms. Each module listens on the document, so swapped parts need no set-up.
import "./htmx-glue.js";
import "./toast.js";
import "./menu.js";
import "./copy.js";
import "./theme.js";
import "./panel.js";
import "./shortcuts.js";
import "./reorder.js";
