# $1 Kconfig, $2 .config: keep what is declared, can be asked for, and has its dependency.
awk -v kconfig="$1" '
BEGIN {
	while ((getline line < kconfig) > 0) {
		if (line ~ /^config /) { name = "CONFIG_" substr(line, 8); known[name] = 1 }
		if (line ~ /^\tbool "/) prompt[name] = 1
		if (line ~ /^\tdepends on /) needs[name] = "CONFIG_" substr(line, 13)
	}
}
/^CONFIG_/ { at = index($0, "="); value[substr($0, 1, at - 1)] = substr($0, at + 1) }
/^# CONFIG_.* is not set/ { delete value[$2] }
END {
	for (name in known)
		if ((name in value) && (name in prompt) && (!(name in needs) || (needs[name] in value)))
			print name "=" value[name]
}' "$2" | sort > "$2.new"
mv "$2.new" "$2"
