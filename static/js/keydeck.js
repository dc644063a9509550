// Every page works without this file; the modules only save steps.
