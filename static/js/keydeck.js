// The one module every page loads. Progressive enhancement only: each page works without it.
import { watchBusyForms } from "./busy.js";
import { watchCopyButtons } from "./copy.js";
import { watchDialogs } from "./dialog.js";
import { watchFilters } from "./filter.js";
import { watchMenus } from "./menu.js";
import { watchPasting } from "./paste.js";
import { watchReveal } from "./reveal.js";
import { watchSession } from "./session.js";
import { watchTheme } from "./theme.js";
import { watchTimes } from "./time.js";

watchBusyForms();
watchCopyButtons();
watchDialogs();
watchFilters();
watchMenus();
watchPasting();
watchReveal();
watchSession();
watchTheme();
watchTimes();
