# The real one in miniature: the same words on the command line, the same shape of answer, one complaint.
my ($file, $line, $bad) = ("", 0, 0);
while (<STDIN>) {
	$file = $1 if m{^\+\+\+ b/(\S+)};
	$line = $1 - 1 if m{^@@ -\S+ \+(\d+)};
	$line++ if m{^[ +]} && !m{^\+\+\+};
	next unless m{^\+.*[ \t]$};
	print "$file:$line: ERROR:TRAILING_WHITESPACE: trailing whitespace\n";
	$bad = 1;
}
exit $bad;
