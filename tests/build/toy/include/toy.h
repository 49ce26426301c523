int toy_length(const char *text);
int toy_name(const char *name);
int toy_link(void);
int toy_unlink(void);
