# Stands in for the official nginx image where no registry can be reached.
ARG BASE
FROM ${BASE}
STOPSIGNAL SIGQUIT
CMD ["nginx", "-g", "daemon off;"]
