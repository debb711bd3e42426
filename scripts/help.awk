# Print the targets of a Makefile in groups, from lines such as `up: needs ## Run: start it`.
/^[a-z0-9-]+:.* ## [A-Z][a-z]+: / {
    target = substr($0, 1, index($0, ":") - 1)
    text = substr($0, index($0, " ## ") + 4)
    group = substr(text, 1, index(text, ":") - 1)
    if (!(group in rows)) order[++groups] = group
    rows[group] = rows[group] sprintf("%-8s %-12s %s\n", rows[group] ? "" : group, target, substr(text, length(group) + 3))
}
END { for (number = 1; number <= groups; number++) printf "%s", rows[order[number]] }
