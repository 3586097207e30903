# Stands in for the official Python image where no registry can be reached.
ARG BASE
FROM ${BASE}
RUN ln -s python3 /usr/local/bin/python || true
CMD ["python3"]
